// A database instance from its order to its end, with gophercloud: the library that Terraform's provider and many others
// are made of.
//
//	OS_AUTH_URL=… OS_USERNAME=… OS_PASSWORD=… OS_PROJECT_NAME=… OS_DOMAIN_ID=default go run .
//
// Each step is a line of output. It ends with the first that does not come out as it should.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/db/v1/configurations"
	"github.com/gophercloud/gophercloud/v2/openstack/db/v1/databases"
	"github.com/gophercloud/gophercloud/v2/openstack/db/v1/datastores"
	"github.com/gophercloud/gophercloud/v2/openstack/db/v1/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/db/v1/instances"
	"github.com/gophercloud/gophercloud/v2/openstack/db/v1/users"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

// How long an order, a restart or a delete may take.
const patience = 2 * time.Minute

// What the steps share.
type walk struct {
	context.Context
	client    *gophercloud.ServiceClient
	datastore string
	version   string
	flavor    string
	group     string
	instance  string
}

func main() {
	steps := []struct {
		name string
		do   func(*walk) error
	}{
		{"datastores", (*walk).datastores},
		{"flavors", (*walk).flavors},
		{"configurations", (*walk).configurations},
		{"order", (*walk).order},
		{"attach", (*walk).attach},
		{"databases", (*walk).databases},
		{"users", (*walk).users},
		{"root", (*walk).root},
		{"resize", (*walk).resize},
		{"restart", (*walk).restart},
		{"delete", (*walk).delete},
	}
	walk, err := logIn(context.Background())
	for _, step := range steps {
		if err == nil {
			err = step.do(walk)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", step.name, err)
			os.Exit(1)
		}
		fmt.Println(step.name)
	}
}

func logIn(ctx context.Context) (*walk, error) {
	options, err := openstack.AuthOptionsFromEnv()
	if err != nil {
		return nil, err
	}
	provider, err := openstack.AuthenticatedClient(ctx, options)
	if err != nil {
		return nil, err
	}
	client, err := openstack.NewDBV1(provider, gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")})
	return &walk{Context: ctx, client: client}, err
}

func (w *walk) datastores() error {
	all, err := listed(w, datastores.List(w.client), datastores.ExtractDatastores)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("there are %d datastores", len(all))
	}
	one, err := datastores.Get(w, w.client, all[0].ID).Extract()
	if err != nil {
		return err
	}
	if len(one.Versions) == 0 {
		return fmt.Errorf("%s has no versions", all[0].Name)
	}
	w.datastore, w.version = one.Name, one.Versions[0].Name
	if _, err = datastores.GetVersion(w, w.client, one.ID, one.Versions[0].ID).Extract(); err != nil {
		return err
	}
	parameters, err := listed(w, configurations.ListDatastoreParams(w.client, one.ID, one.Versions[0].ID), configurations.ExtractParams)
	isKnown := func(parameter configurations.Param) bool { return parameter.Name == "max_connections" }
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(parameters, isKnown) {
		return fmt.Errorf("max_connections is none of %d parameters", len(parameters))
	}
	return nil
}

func (w *walk) flavors() error {
	all, err := listed(w, flavors.List(w.client), flavors.ExtractFlavors)
	if err != nil {
		return err
	}
	if len(all) < 2 {
		return fmt.Errorf("there are %d flavors", len(all))
	}
	smallest := slices.MinFunc(all, func(a, b flavors.Flavor) int { return a.RAM - b.RAM })
	one, err := flavors.Get(w, w.client, smallest.StrID).Extract()
	if err != nil {
		return err
	}
	if one.RAM != smallest.RAM {
		return fmt.Errorf("flavor %s is not shown as it is listed", smallest.StrID)
	}
	w.flavor = one.StrID
	return nil
}

func (w *walk) configurations() error {
	created, err := configurations.Create(w, w.client, configurations.CreateOpts{
		Name:      "gophercloud",
		Values:    map[string]any{"collation_server": "latin1_swedish_ci", "max_connections": 50},
		Datastore: &configurations.DatastoreOpts{Type: w.datastore, Version: w.version},
	}).Extract()
	if err != nil {
		return err
	}
	w.group = created.ID
	patch := configurations.UpdateOpts{Values: map[string]any{"max_connections": 60}}
	if err := configurations.Update(w, w.client, w.group, patch).ExtractErr(); err != nil {
		return err
	}
	// Without values those that are there stay.
	description := "made by an example"
	replacement := configurations.UpdateOpts{Name: "gophercloud-renamed", Description: &description}
	if err := configurations.Replace(w, w.client, w.group, replacement).ExtractErr(); err != nil {
		return err
	}
	shown, err := configurations.Get(w, w.client, w.group).Extract()
	if err != nil {
		return err
	}
	values := fmt.Sprint(shown.Values["collation_server"], shown.Values["max_connections"])
	if values != "latin1_swedish_ci60" || shown.Name != "gophercloud-renamed" || shown.Created.IsZero() {
		return fmt.Errorf("the group is %+v", shown)
	}
	return nil
}

func (w *walk) order() error {
	created, err := instances.Create(w, w.client, instances.CreateOpts{
		Name:      "gophercloud",
		FlavorRef: w.flavor,
		Size:      1,
		Datastore: &instances.DatastoreOpts{Type: w.datastore, Version: w.version},
		Databases: databases.BatchCreateOpts{{Name: "shop"}},
		Users: users.BatchCreateOpts{
			{Name: "writer", Password: "pw-of-writer-1", Databases: databases.BatchCreateOpts{{Name: "shop"}}},
		},
	}).Extract()
	if err != nil {
		return err
	}
	w.instance = created.ID
	if err := w.wait("ACTIVE"); err != nil {
		return err
	}
	all, err := listed(w, instances.List(w.client), instances.ExtractInstances)
	isOurs := func(instance instances.Instance) bool { return instance.ID == w.instance }
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, isOurs) {
		return fmt.Errorf("%s is not listed", w.instance)
	}
	return nil
}

func (w *walk) attach() error {
	if err := instances.AttachConfigurationGroup(w, w.client, w.instance, w.group).ExtractErr(); err != nil {
		return err
	}
	members, err := listed(w, configurations.ListInstances(w.client, w.group), instances.ExtractInstances)
	if err != nil {
		return err
	}
	if len(members) != 1 || members[0].ID != w.instance {
		return fmt.Errorf("the group has these instances: %v", members)
	}
	if err := instances.DetachConfigurationGroup(w, w.client, w.instance).ExtractErr(); err != nil {
		return err
	}
	return configurations.Delete(w, w.client, w.group).ExtractErr()
}

func (w *walk) databases() error {
	wanted := databases.BatchCreateOpts{{Name: "extra", CharSet: "utf8mb3", Collate: "utf8mb3_general_ci"}, {Name: "more"}}
	if err := databases.Create(w, w.client, w.instance, wanted).ExtractErr(); err != nil {
		return err
	}
	if err := databases.Delete(w, w.client, w.instance, "more").ExtractErr(); err != nil {
		return err
	}
	all, err := listed(w, databases.List(w.client, w.instance), databases.ExtractDBs)
	if err != nil {
		return err
	}
	if len(all) != 2 || all[0].Name != "extra" || all[1].Name != "shop" {
		return fmt.Errorf("the databases are %v", all)
	}
	return nil
}

func (w *walk) users() error {
	wanted := users.BatchCreateOpts{
		{Name: "reader", Password: "pw-of-reader-1", Host: "127.0.0.%", Databases: databases.BatchCreateOpts{{Name: "extra"}}},
		{Name: "passing", Password: "pw-of-passing-1"},
	}
	if err := users.Create(w, w.client, w.instance, wanted).ExtractErr(); err != nil {
		return err
	}
	if err := users.Delete(w, w.client, w.instance, "passing").ExtractErr(); err != nil {
		return err
	}
	all, err := listed(w, users.List(w.client, w.instance), users.ExtractUsers)
	if err != nil {
		return err
	}
	if len(all) != 2 || all[0].Name != "reader" || all[1].Name != "writer" {
		return fmt.Errorf("the users are %v", all)
	}
	return nil
}

func (w *walk) root() error {
	root, err := instances.EnableRootUser(w, w.client, w.instance).Extract()
	if err != nil {
		return err
	}
	if root.Name != "root" || root.Password == "" {
		return fmt.Errorf("root is not enabled")
	}
	isEnabled, err := instances.IsRootEnabled(w, w.client, w.instance).Extract()
	if err != nil {
		return err
	}
	if !isEnabled {
		return fmt.Errorf("root is not shown as enabled")
	}
	return nil
}

func (w *walk) resize() error {
	if err := instances.ResizeVolume(w, w.client, w.instance, 2).ExtractErr(); err != nil {
		return err
	}
	if err := w.wait("ACTIVE"); err != nil {
		return err
	}
	shown, err := instances.Get(w, w.client, w.instance).Extract()
	if err != nil {
		return err
	}
	if shown.Volume.Size != 2 {
		return fmt.Errorf("the volume has not grown")
	}
	return nil
}

func (w *walk) restart() error {
	if err := instances.Restart(w, w.client, w.instance).ExtractErr(); err != nil {
		return err
	}
	return w.wait("ACTIVE")
}

func (w *walk) delete() error {
	if err := instances.Delete(w, w.client, w.instance).ExtractErr(); err != nil {
		return err
	}
	return w.wait("")
}

// All of a list.
func listed[T any](w *walk, pager pagination.Pager, extract func(pagination.Page) ([]T, error)) ([]T, error) {
	pages, err := pager.AllPages(w)
	if err != nil {
		return nil, err
	}
	return extract(pages)
}

// Waits until the instance has a status, or is gone.
func (w *walk) wait(status string) error {
	ctx, cancel := context.WithTimeout(w, patience)
	defer cancel()
	for {
		shown, err := instances.Get(ctx, w.client, w.instance).Extract()
		switch {
		case gophercloud.ResponseCodeIs(err, http.StatusNotFound) && status == "":
			return nil
		case err != nil:
			return err
		case shown.Status == status:
			return nil
		case shown.Status == "ERROR":
			return fmt.Errorf("%s is in ERROR: %+v", w.instance, shown.Fault)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
